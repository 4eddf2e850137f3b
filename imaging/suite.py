"""Words every output of the suite carries."""

SUITE = "map-suite"
RESEARCH_USE = "Research use only. Not a medical device: do not use for diagnosis or treatment."
