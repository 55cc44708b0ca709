"""The watermark: which calls were committed last, kept outside the database, which can go back in time."""

from tasks.watermark.store import KEPT, Mark, Newest, Replaced, Since, Watermark

__all__ = ["KEPT", "Mark", "Newest", "Replaced", "Since", "Watermark"]
