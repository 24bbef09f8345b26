"""What a node of a cluster does."""

from headrace.options import Choice


class Role(Choice):
    """What a node of a cluster does beside answering for all of it: SeaTunnel's separated mode."""

    BOTH = ""  # it runs jobs, and may be the master
    MASTER = "master"  # it runs none
    WORKER = "worker"  # it runs jobs, and is the master only where no other node lives
    JOINING = "joining"  # it has yet to prove that it is one of the cluster
