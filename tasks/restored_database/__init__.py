"""A database that went back in time: found out, and let go on."""

from tasks.restored_database.go_on import GoingOn, Lost, believe, compare, look, lost_calls, newest_marks, take_in

__all__ = ["GoingOn", "Lost", "believe", "compare", "look", "lost_calls", "newest_marks", "take_in"]
