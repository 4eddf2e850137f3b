"""Applications: each a folder with one graph."""
