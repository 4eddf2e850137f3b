"""Measured quantities as people read them: name, number, unit, place."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.sr.coding import Code

from imaging.finding import Finding, Quantity, Site

UNITS = {"mm3": "mm³", "um2/s": "µm²/s", "[hnsf'U]": "HU", "1": "", "Cel": "°C"}
"""How units are printed that UCUM writes otherwise."""


@dataclass(frozen=True)
class Value:
    """One measured number of a finding."""

    name: str  # the same for the same quantity of every finding
    number: str
    unit: str
    place: str = ""  # where, when it is not the finding itself

    @property
    def text(self) -> str:
        """Number and unit."""
        return f"{self.number} {self.unit}".rstrip()


def values_of(finding: Finding) -> tuple[Value, ...]:
    """Return what was measured of a finding, as text."""
    return tuple(_value(quantity, finding) for quantity in finding.quantities)


def number_text(value: float, unit: str) -> str:
    """Return a number with as many digits as it deserves; counts have none behind the point.

    >>> number_text(1413.04, "mL"), number_text(0.354, "mL"), number_text(9.0, ""), number_text(-325.04, "HU")
    ('1413.0', '0.35', '9', '-325')
    """
    if not unit and value == int(value):
        return str(int(value))
    if unit in ("HU", "mm³", "µm²/s"):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 or unit in ("%", "mm") else f"{value:.2f}"


def _value(quantity: Quantity, finding: Finding) -> Value:
    unit = UNITS.get(quantity.unit.value, quantity.unit.value)
    name, place = _name(quantity, finding)
    return Value(name, number_text(quantity.value, unit), unit, place)


def _name(quantity: Quantity, finding: Finding) -> tuple[str, str]:
    """Return what a quantity is called, and where it is when that differs from finding to finding."""
    parts = [quantity.name.meaning] + ([quantity.derivation.meaning.lower()] if quantity.derivation else [])
    place = ""
    for site in quantity.sites:
        location, modifier = _parts(site)
        if finding.sites and location != _parts(finding.sites[0])[0]:
            parts.append(location.meaning.split()[-1].lower())  # L4/L5 disc: a disc, that of L4 and L5
            place = location.meaning
        elif modifier is not None:
            parts.append(modifier.meaning.lower())
    return ", ".join([_sentence(parts[0]), *parts[1:]]), place


def _sentence(name: str) -> str:
    """Return the meaning of a code as a heading: abbreviations stay, other capitals go.

    >>> _sentence("T2 Weighted MR Signal Intensity")
    'T2 weighted MR signal intensity'
    """
    first, *others = name.split()
    return " ".join([first, *(word if word[1:] != word[1:].lower() else word.lower() for word in others)])


def _parts(site: Code | Site) -> tuple[Code, Code | None]:
    return (site.location, site.modifier) if isinstance(site, Site) else (site, None)
