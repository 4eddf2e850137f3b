"""Stands in for HiGHS, 7 MB that solve linear programs: scipy.optimize imports it, and no application asks for it."""

from __future__ import annotations


class Absent:
    """Says that there is no solver."""

    def __getattr__(self, name: str) -> object:
        raise ImportError("This image has no solver of linear programs.")


kHighsInf = HighsDebugLevel = ObjSense = HighsModelStatus = simplex_constants = Absent()  # noqa: N816
