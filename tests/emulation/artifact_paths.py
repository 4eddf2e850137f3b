"""Artifact variables of a workflow definition to paths in the store, as the manager's ArtifactMapper reads them."""


class MissingArtifactError(Exception):
    """A mandatory artifact is not there."""


def input_paths(artifacts, instance, store):
    """Paths of a task's inputs by the name they are dispatched under; MissingArtifactError without a mandatory one."""
    paths = {}
    for artifact in artifacts:
        found = _resolve(artifact, instance)
        if found and store.exists(found[1]):
            paths[found[0]] = found[1]
        elif artifact.get("mandatory", True):
            raise MissingArtifactError(f"{artifact['name']}: {artifact['value']}")
    return paths


def _resolve(artifact, instance):
    words = artifact["value"].split(" ")
    if len(words) < 2:
        return None
    variable = words[1]
    if variable.startswith("context.input.dicom"):
        return artifact["name"], f"{instance.payload_id}/dcm"
    if not variable.startswith("context.executions"):
        return None
    _, _, name, kind, *rest = variable.split(".")
    execution = instance.executions.get(name)
    if execution is None:
        return None
    if kind == "output_dir":
        return artifact["name"], execution.folder
    path = execution.outputs.get(rest[0])
    return (rest[0], path) if path else None  # under the name it has as an output
