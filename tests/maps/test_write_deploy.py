"""The committed files of the hosts are what the generator gives, and a site's names go into them or are refused."""

import json
import stat

import pytest

from cli.main import main
from imaging.outcome import UsageError
from maps.describe_app import ROOT, app_names, describe_app
from maps.hosts.hospital_site import Site
from maps.write_deploy import deploy_files

APPS = [describe_app(name) for name in app_names()]


def test_the_committed_files_are_what_the_generator_gives():
    written = deploy_files(APPS, Site())
    committed = {
        path.relative_to(ROOT / "deploy").as_posix(): path.read_text()
        for path in (ROOT / "deploy").rglob("*")
        if path.is_file()
    }

    assert sorted(committed) == sorted(written), "run monai-deploy deploy-files"
    assert committed == written, "run monai-deploy deploy-files"


def test_every_host_has_a_file_for_every_application():
    names = deploy_files(APPS, Site())

    for host in ("argo", "docker", "informatics-gateway", "kubernetes", "mercure", "workflow-manager"):
        for app in APPS:
            assert any(name.startswith(f"{host}/") and app.name.replace("_", "-") in name for name in names)


def test_the_names_of_a_site_go_into_the_files(tmp_path, capsys):
    options = ("--registry", "registry.example.org:5000/maps", "--tag", "2026.1", "--user", "4321:4321")
    pacs = ("--pacs-name", "VNA", "--pacs-ae-title", "VNA1", "--pacs-host", "10.1.2.3", "--pacs-port", "11112")

    code = main(["deploy-files", str(tmp_path / "site"), *options, *pacs])

    assert code == 0
    assert "files in" in capsys.readouterr().out
    text = "\n".join(path.read_text() for path in (tmp_path / "site").rglob("*") if path.is_file())
    assert "registry.example.org:5000/maps/map-suite/spine:2026.1" in text
    assert "4321:4321" in text
    assert not any(word in text for word in ("ORTHANC", "172.29.0.100", '"1000:1000"', ":0.1.0"))
    destination = json.loads((tmp_path / "site" / "informatics-gateway" / "destination.json").read_text())
    assert destination == {"name": "VNA", "hostIp": "10.1.2.3", "aeTitle": "VNA1", "port": 11112}


def test_scripts_can_be_executed_and_nothing_else(tmp_path):
    main(["deploy-files", str(tmp_path)])

    for path in tmp_path.rglob("*.*"):
        assert bool(path.stat().st_mode & stat.S_IXUSR) == (path.suffix in (".sh", ".py")), path


def test_a_second_call_replaces_what_the_first_one_wrote(tmp_path):
    main(["deploy-files", str(tmp_path)])
    (tmp_path / "docker" / "removed_app.sh").write_text("old")

    assert main(["deploy-files", str(tmp_path), "--tag", "new"]) == 0

    assert not (tmp_path / "docker" / "removed_app.sh").exists()
    assert ":new" in (tmp_path / "docker" / "spine.sh").read_text()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "mine.sh").write_text("mine")

    assert main(["deploy-files", str(tmp_path)]) == 6

    assert "not empty" in capsys.readouterr().err
    assert (tmp_path / "docker" / "mine.sh").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("registry", "HOSPITAL/maps"),
        ("registry", "host/maps/"),
        ("tag", "a b"),
        ("tag", "-x"),
        ("user", "root"),
        ("user", "0:0"),
        ("pacs_name", "A NAME"),
        ("pacs_ae_title", "SIXTEEN-LETTERS-"),
        ("pacs_host", "10.1.2.300"),
        ("pacs_host", "pacs_1; rm"),
        ("pacs_port", 65536),
        ("gateway_url", "localhost:5000"),
        ("namespace", "Argo"),
    ],
)
def test_a_name_that_a_host_would_refuse_is_refused(name, value):
    with pytest.raises(UsageError, match="found"):
        Site(**{name: value})


def test_the_longest_names_are_accepted():
    site = Site(registry="r.example:5000/a/b", tag="x" * 128, pacs_ae_title="FIFTEEN-LETTERS", pacs_port=65535)

    assert site.image(APPS[0]).startswith("r.example:5000/a/b/map-suite/cervical_tumor:x")


def test_a_site_with_gpus_asks_every_host_for_one(tmp_path):
    assert main(["deploy-files", str(tmp_path), "--gpu"]) == 0

    def text(path):
        return (tmp_path / path).read_text()

    assert "--gpus=1" in text("docker/spine.sh")
    assert "--gpus=1" in text("orthanc/map_suite.json")
    assert 'nvidia.com/gpu: "1"' in text("kubernetes/spine.yaml")
    assert 'nvidia.com/gpu: "1"' in text("argo/spine-template.yaml")
    assert '"gpu_required": "true"' in text("argo/spine-workflow.json")
    assert "nvidia" in text("mercure/spine.json")


def test_a_site_without_gpus_asks_for_none():
    asking = [name for name, text in deploy_files(APPS, Site()).items() if "--gpus" in text or "nvidia" in text]

    assert asking == []
