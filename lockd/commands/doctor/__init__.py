"""`lockd doctor`: what is wrong with a machine, and how to mend it, before lockd and after.

The checks are small functions in the table of `lockd.commands.doctor.table`. Each takes a `Machine`
and returns `Finding`s; none may change anything, let alone move the relay. Whatever one
raises, and one that never returns, becomes a finding (`lockd.commands.doctor.examine`), for the
machine that needs a doctor is the one on which half of everything is missing.
"""
