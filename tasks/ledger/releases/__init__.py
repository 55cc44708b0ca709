"""Numbers that are given back: who asked for it, and the calls and looks that it takes."""
