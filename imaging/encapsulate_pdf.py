"""A PDF as a DICOM object, in the study it is about (Encapsulated PDF, PS3.3 A.45.1)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from imaging.provenance import Provenance
from imaging.suite import RESEARCH_USE
from imaging.to_volume import SourceImage
from imaging.write_common import code, instance_references, new_object, refer_to, uids_of

MEASUREMENT_REPORT = ("126000", "DCM", "Imaging Measurement Report")
"""Document title, PS3.16 CID 7020."""


def encapsulate_pdf(
    pdf: bytes, source: SourceImage, results: Sequence[Dataset], provenance: Provenance, *, title: str, identified: bool
) -> Dataset:
    """Return an Encapsulated PDF that references the source images and the results it is about.

    results     objects of the same run, such as segmentation and report; their SOP class and instance are needed
    identified  the PDF says whose images they are
    """
    uids = [*uids_of(source.frames), *(one.SOPInstanceUID for one in results), str(identified)]
    document = new_object(source.stack.header, EncapsulatedPDFStorage, "DOC", f"{title}, page", provenance, uids)
    document.ConversionType = "WSD"
    document.AcquisitionDateTime = None
    document.BurnedInAnnotation = "YES" if identified else "NO"
    document.SourceInstanceSequence = [*instance_references(source.frames), *map(refer_to, results)]
    document.DocumentTitle = f"{title}. {RESEARCH_USE}"
    document.ConceptNameCodeSequence = [code(*MEASUREMENT_REPORT)]
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocumentLength = len(pdf)
    document.add_new("EncapsulatedDocument", "OB", pdf + b"\0" * (len(pdf) % 2))
    return document
