"""The files for clusters by the schemas of their hosts: Argo's from its API, those of Kubernetes by release."""

import kubernetes_validate
import pydantic
import pytest
import yaml
from hera.workflows.models import WorkflowTemplate

from maps.describe_app import app_names, describe_app
from maps.hosts.hospital_site import Site
from maps.write_deploy import deploy_files

APPS = [describe_app(name) for name in app_names()]
SITES = {"express": Site(), "gpu": Site(registry="registry.example.org:5000/maps", user="4321:4322", gpu=True)}
RELEASES = [kubernetes_validate.utils.all_versions()[place] for place in (0, -1)]
CONTAINER = {"argo": ("spec", "templates", 0, "container"), "job": ("spec", "template", "spec", "containers", 0)}
"""Where the container of an application is in a document."""


def documents(folder):
    """Each YAML document that is written for a host, for each site."""
    for name, site in SITES.items():
        for path, text in deploy_files(APPS, site).items():
            if path.startswith(f"{folder}/") and path.endswith(".yaml"):
                yield pytest.param(yaml.safe_load(text), id=f"{name}-{path}")


def argo_errors(document):
    """What Argo's schema says: a wrong value, or a field it does not know and so leaves out."""
    try:
        read = WorkflowTemplate.model_validate(document)
    except pydantic.ValidationError as error:
        return [str(each["loc"]) for each in error.errors()]
    known = read.model_dump(by_alias=True, exclude_unset=True)
    return [] if known == document else [f"known is only {known}"]


def kubernetes_errors(document):
    """What the schemas of the oldest and the newest release say, in which an unknown field is an error."""
    errors = []
    for release in RELEASES:
        try:
            kubernetes_validate.validate(document, release, strict=True)
        except kubernetes_validate.ValidationError as error:
            errors.append(f"{release}: {error.message}")
    return errors


JUDGES = {"argo": argo_errors, "job": kubernetes_errors}


@pytest.mark.parametrize("document", list(documents("argo")))
def test_argo_knows_every_field_of_a_template(document):
    assert argo_errors(document) == []


@pytest.mark.parametrize("document", list(documents("kubernetes")))
def test_kubernetes_knows_every_field_of_a_job(document):
    assert kubernetes_errors(document) == []


@pytest.fixture(params=["argo", "job"])
def judged(request):
    """A good document, its container, and its judge."""
    folder = {"argo": "argo", "job": "kubernetes"}[request.param]
    text = next(text for path, text in deploy_files(APPS, Site()).items() if path.startswith(f"{folder}/spine"))
    document = yaml.safe_load(text)
    return document, reach(document, CONTAINER[request.param]), JUDGES[request.param]


def reach(document, place):
    """The part of a document that names and numbers lead to."""
    for step in place:
        document = document[step]
    return document


@pytest.mark.parametrize(
    ("place", "field", "value"),
    [
        ((), "imagePullPolicyy", "Never"),  # misspelt
        ((), "command", "python3"),  # a text for a list
        ((), "image", 3),
        (("securityContext",), "readOnlyRootFileSystem", True),  # misspelt in one letter
        (("securityContext",), "runAsNonRoot", "certainly"),
        (("securityContext", "capabilities"), "drop", "ALL"),
        (("resources",), "limit", {"memory": "1Gi"}),
        (("resources",), "limits", ["memory"]),
        (("env", 0), "value", 0),  # a number for a text
        (("volumeMounts", 0), "readonly", True),
    ],
)
def test_what_a_cluster_refuses_or_drops_is_found(judged, place, field, value):
    document, container, judge = judged
    assert judge(document) == []

    reach(container, place)[field] = value

    assert judge(document) != []


@pytest.mark.parametrize(("field", "value"), [("activeDeadlineSecond", 600), ("activeDeadlineSeconds", "soon")])
def test_a_wrong_limit_of_time_is_found(judged, field, value):
    document, _, judge = judged

    document["spec"][field] = value

    assert judge(document) != []
