"""Measurements as a DICOM structured report after TID 1500 (PS3.16)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import highdicom as hd
import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage

from imaging.finding import Finding
from imaging.provenance import Provenance
from imaging.suite import RESEARCH_USE, SUITE
from imaging.to_volume import SourceImage
from imaging.write_common import instance_references, item, new_object, refer_to, uids_of

IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")


def encode_sr(
    findings: Sequence[Finding],
    seg: Dataset,
    source: SourceImage,
    provenance: Provenance,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> Dataset:
    """Return a Comprehensive 3D SR after TID 1500: one group of measurements for each finding, after TID 1411.

    title  of the series, such as "Brain volume"
    notes  sentences added as comments after the statement of research use
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom quotes unusual values
        report = sr.MeasurementReport(
            observation_context=_observer(provenance),
            procedure_reported=IMAGING_PROCEDURE,
            imaging_measurements=[_group(finding, seg, source, provenance) for finding in findings],
            title=codes.DCM.ImagingMeasurementReport,
        )
        for text in (RESEARCH_USE, *notes):
            report[0].ContentSequence.append(_comment(text))
    uids = uids_of(source.frames)
    document = new_object(source.stack.header, Comprehensive3DSRStorage, "SR", title, provenance, uids)
    document.CompletionFlag, document.VerificationFlag = "COMPLETE", "UNVERIFIED"
    document.PreliminaryFlag = "FINAL"
    document.ReferencedPerformedProcedureStepSequence = []
    document.PerformedProcedureCodeSequence = []
    document.CurrentRequestedProcedureEvidenceSequence = [_evidence(seg, source)]
    document.update(report[0])
    return document


def _evidence(seg: Dataset, source: SourceImage) -> Dataset:
    """Return every instance the report refers to (PS3.3 C.17.2.3), by study and series."""
    series = [
        item(SeriesInstanceUID=seg.SeriesInstanceUID, ReferencedSOPSequence=[refer_to(seg)]),
        item(SeriesInstanceUID=source.series.uid, ReferencedSOPSequence=instance_references(source.frames)),
    ]
    return item(StudyInstanceUID=source.stack.header.StudyInstanceUID, ReferencedSeriesSequence=series)


def _observer(provenance: Provenance) -> sr.ObservationContext:
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                uid=provenance.uid("device", ()),
                name=provenance.app,
                manufacturer_name=SUITE,
                model_name=provenance.software_versions,
                serial_number=provenance.weights_sha256[:16],
            ),
        )
    )


def _group(
    finding: Finding, seg: Dataset, source: SourceImage, provenance: Provenance
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    segment = seg.SegmentSequence[finding.segment - 1]
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=segment.TrackingUID, identifier=segment.TrackingID),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=finding.segment,
            source_series=sr.SourceSeriesForSegmentation(source.series.uid),
        ),
        finding_category=hd.sr.CodedConcept.from_dataset(segment.SegmentedPropertyCategoryCodeSequence[0]),
        finding_type=hd.sr.CodedConcept.from_dataset(segment.SegmentedPropertyTypeCodeSequence[0]),
        algorithm_id=sr.AlgorithmIdentification(
            name=provenance.algorithm,
            version=provenance.model_version,
            parameters=[f"weights SHA-256 {provenance.weights_sha256}", f"application {provenance.app_version}"],
        ),
        finding_sites=[sr.FindingSite(anatomic_location=site) for site in finding.sites] or None,
        measurements=[
            sr.Measurement(name=quantity.name, value=round(quantity.value, 2), unit=quantity.unit)
            for quantity in finding.quantities
        ],
    )
    if finding.centre_mm is not None:
        group[0].ContentSequence.append(_centre(finding.centre_mm, seg))
    for text in finding.remarks:
        group[0].ContentSequence.append(_comment(text))
    return group


def _centre(position_mm: tuple[float, float, float], seg: Dataset) -> sr.Scoord3DContentItem:
    return sr.Scoord3DContentItem(
        name=codes.DCM.CenterOfMass,
        graphic_type=sr.GraphicTypeValues3D.POINT,
        graphic_data=np.array([position_mm]),
        frame_of_reference_uid=seg.FrameOfReferenceUID,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )


def _comment(text: str) -> sr.TextContentItem:
    return sr.TextContentItem(name=codes.DCM.Comment, value=text, relationship_type=sr.RelationshipTypeValues.CONTAINS)
