"""Stands in for the options of HiGHS, as _core.py does for HiGHS."""
