"""Stand-in: this image has no network client."""
