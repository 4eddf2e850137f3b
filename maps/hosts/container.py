"""Folders and commands inside the images, which all hosts share (MAP specification 1.0)."""

INPUT = "/var/holoscan/input"
OUTPUT = "/var/holoscan/output"
MODELS = "/opt/holoscan/models"
APP = "/opt/holoscan/app"
COMMAND = ("python3", "-u", APP)
SCRATCH_MIB = 1024  # of /tmp, where libraries put what they compile or cache
PROCESSES = 512
GENERATED = "Written by `monai-deploy deploy-files`: change its options or apps/*/app.py, not this file."
