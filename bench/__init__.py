"""Side-by-side measurements of gputwas and its peers (``python -m bench``, from the root)."""
