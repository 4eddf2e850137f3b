"""A PACS with a viewer on one machine, for demonstration: what IT departments and radiologists see of the suite."""
