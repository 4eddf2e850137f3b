"""Random damage to good files: whatever a folder holds, the loader ends with a volume or with a reason."""
