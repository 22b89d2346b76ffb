"""Could a photograph open the door, and can the door ask what its policy asks for?"""

from __future__ import annotations

from lockd.commands.doctor.findings import Finding, Machine, ok, problem, warning
from lockd.identity.liveness import photographs_open, shortcoming


def liveness(machine: Machine) -> list[Finding]:
    """Look at the policies; what the door has learnt only the service knows: `lockd liveness`."""
    settings = machine.settings
    policies = settings.policies()
    findings = [
        warning(said, "choose a policy of docs/liveness.md") for said in photographs_open(policies)
    ]
    wrong = shortcoming(policies, settings.means(), settings.liveness.doubt)
    if wrong is not None:
        said, _, way_out = wrong.rpartition(": ")
        findings.append(problem(said, way_out))
    return findings or [ok(f"liveness: {policies.default}; `lockd liveness` says what it learnt")]
