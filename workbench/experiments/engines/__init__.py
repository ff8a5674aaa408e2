"""Where jobs run: processes of this machine, a SLURM cluster, a Ray cluster.

A job is one `workbench` command whose result is a folder or a file written whole or not at all. So an engine has only
to run commands and to run them again; queueing, throttling and GPUs are the cluster's own.
"""
