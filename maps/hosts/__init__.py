"""The files that hosts need to run the applications, one module for each host."""
