"""Whom the unit lets the service speak to, against whom the configuration names."""

from __future__ import annotations

from lockd.adapters.reach import ANY, allowed, drop_in, needs, unreached
from lockd.commands.doctor.findings import INSTALL, Finding, Machine, ok, problem, skipped, warning
from lockd.paths import NETWORK_FILE, UNIT_FILE


def network(machine: Machine) -> list[Finding]:
    """Compare the unit's addresses with what the configuration needs."""
    texts = machine.unit_texts
    if not texts:
        return [skipped(f"not installed yet; to install it, {INSTALL}")]
    wanted = needs(machine.settings, resolvers=machine.path("/etc/resolv.conf"))
    through = allowed(texts)
    renew = f"{INSTALL}, which writes {NETWORK_FILE} anew"
    missing = unreached(wanted, through)
    if missing:
        return [problem(f"the unit lets nothing through to {one.what}", renew) for one in missing]
    open_to_all = [one for one in wanted if one.all_of_it]
    if open_to_all:
        return [warning(one.what, f"write its address, then {INSTALL}") for one in open_to_all]
    if set(ANY) <= set(through):
        return [
            warning(
                f"{UNIT_FILE} or a drop-in of yours lets the service speak to anybody",
                f"take IPAddressAllow=any, or an empty IPAddressDeny=, out of it; {renew}",
            )
        ]
    if _rules(machine.text(NETWORK_FILE) or "") != _rules(drop_in(wanted)):
        return [warning(f"{NETWORK_FILE} lets more through than the configuration names", renew)]
    return [ok(f"may speak to this machine and to {len(wanted)} that the configuration names")]


def _rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("IPAddress")]
