"""Numbers on their way back: asked for, and kept where that was a mistake of a lost history or account."""
