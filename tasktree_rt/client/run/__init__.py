"""Show a program's own blocks as nodes of a tree."""
