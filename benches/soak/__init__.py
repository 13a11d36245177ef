"""`scripts/bench soak`: everything at once for as long as is asked, each answer compared with what it has to be.

models.py  the repository
ways.py    what is asked, each with its check
worker.py  a process that asks in all ways at once
run.py     the server, its workers, and the sum of what they saw
"""
