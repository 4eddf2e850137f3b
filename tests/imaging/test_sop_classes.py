import pytest
from pydicom._uid_dict import UID_dictionary

from imaging.sop_classes import STORAGE, holds_image

IMAGES_OF_OTHER_NAMES = {
    "Enhanced US Volume Storage",
    "Ophthalmic Thickness Map Storage",
    "Corneal Topography Map Storage",
}
UNJUDGED = ("DICOS", "Ophthalmic Optical Coherence Tomography B-scan Volume Analysis")
CLASSES = {
    uid: name
    for uid, (name, kind, *_) in UID_dictionary.items()
    if kind == "SOP Class" and uid.startswith(STORAGE) and name and not name.startswith(UNJUDGED)
}


@pytest.mark.parametrize("uid", CLASSES, ids=CLASSES.get)
def test_a_class_holds_an_image_when_its_name_says_so(uid):
    name = CLASSES[uid]

    assert holds_image(uid) == ("Image" in name or name in IMAGES_OF_OTHER_NAMES)


@pytest.mark.parametrize("uid", ["", "1.2.3.4", "1.2.840.113619.4.30"])
def test_an_unknown_class_may_hold_an_image(uid):
    assert holds_image(uid)
