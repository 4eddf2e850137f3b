"""Run the application of this folder: python apps/cervical_tumor -i STUDY -o OUT -m MODELS."""

from pathlib import Path

from cli.leave import leave
from cli.run import run

if __name__ == "__main__":
    leave(run(Path(__file__).parent))
