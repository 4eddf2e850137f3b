"""Check workflow definitions against all rules."""

from __future__ import annotations

from maps.workflow.definition import Workflow
from maps.workflow.docker_rules import DOCKER_RULES
from maps.workflow.manager_rules import MANAGER_RULES
from maps.workflow.name_rules import NAME_RULES
from maps.workflow.rule import Finding, Rule, Surroundings
from maps.workflow.task_rules import TASK_RULES

RULES: tuple[Rule, ...] = (
    *sorted((*MANAGER_RULES, *TASK_RULES), key=lambda rule: rule.code),
    *NAME_RULES,
    *DOCKER_RULES,
)


def check_workflow(workflow: Workflow, surroundings: Surroundings) -> list[Finding]:
    """Return what a workflow breaks, in the order of the rules; rules whose surroundings are not known are left out."""
    return [Finding(rule, found) for rule in RULES for found in rule.look(workflow, surroundings)]
