"""What viewers make of the ways to write a segmentation: ``python -m tests.viewers`` fills docs/viewers.md."""
