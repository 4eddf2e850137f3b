"""Container images of the applications: staged, described, built and run with the standard library alone."""
