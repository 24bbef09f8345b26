"""The shapes of answers, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel


class Edge(BaseModel):
    """An edge of the DAG as later releases show it."""

    inputVertexId: str
    targetVertexId: str


class Dag(BaseModel):
    """A job's plan in both generations' forms."""

    jobId: str
    pipelineEdges: dict[str, list[Edge]]
    envOptions: dict[str, str]
    vertexInfoMap: list[dict[str, Any]]
    vertices: list[dict[str, Any]]
    edges: list[dict[str, Any]]


class JobAnswer(BaseModel):
    """A job, running or ended; empty but for its id when it is unknown."""

    model_config = ConfigDict(extra="allow")

    jobId: str | None = None
    jobName: str | None = None
    jobStatus: str | None = None
    createTime: str | None = Field(default=None, description="yyyy-MM-dd HH:mm:ss in the server's zone.")
    jobDag: Dag | None = None
    metrics: dict[str, Any] | None = None


class JobPage(BaseModel):
    """Part of a list of jobs, when `page` was asked for."""

    data: list[JobAnswer]
    total: int


class JobList(RootModel[list[JobAnswer] | JobPage]):
    """Jobs, or one page of them."""


class BriefJobs(BaseModel):
    """Jobs without their plans. nextCursor: to be given as `cursor` for those that follow; null after the last."""

    jobs: list[dict[str, Any]]
    nextCursor: str | None
    total: int


class CheckAnswer(BaseModel):
    """What is wrong with a job text, and its plan where it has one."""

    valid: bool
    problems: list["ProblemAnswer"]
    plan: dict[str, Any] | None


class PreviewTable(BaseModel):
    """The first rows of a table. Cells are texts, null where there is no value."""

    table: str
    columns: list[dict[str, str]]
    rows: list[list[str | None]]


class PreviewAnswer(BaseModel):
    """The tables of a job as they would reach its sinks."""

    tables: list[PreviewTable]


class ReplayAnswer(BaseModel):
    """What became of bad rows. kept: why rows were not sent in → how many. said: what else there is to say."""

    jobId: str
    replayed: int
    setAsideAgain: int
    kept: dict[str, int]
    said: list[str]


class RatesAnswer(BaseModel):
    """Totals of a job, oldest first; time in ms since 1970."""

    jobId: str
    points: list[dict[str, int]]


class JobFile(BaseModel):
    """A job file as it was taken, secrets masked; time in ms since 1970."""

    jobId: str
    run: int
    format: str
    text: str
    takenAt: int


class JobFiles(BaseModel):
    """The file of a job, and that of the run before it."""

    jobId: str
    file: JobFile | None
    before: JobFile | None


class Who(BaseModel):
    """What somebody may do: look (viewer), or also change (operator)."""

    role: str
    login: bool


class SubmitAnswer(BaseModel):
    """A job that was taken. jobId: a number with the wire of 2.3.3, a text with that of 2.3.13."""

    jobId: int | str
    jobName: str


class JobId(BaseModel):
    """The id of a job that was asked to stop."""

    jobId: int | str


class ProblemAnswer(BaseModel):
    """One thing that is wrong with a request."""

    place: str
    message: str
    cure: str
    line: int


class Failure(BaseModel):
    """Why a request was refused."""

    status: str = "fail"
    message: str | None = None
    problems: list[ProblemAnswer] | None = None


class Drained(BaseModel):
    """A node of the cluster, whether it gives its jobs away, and those that it still has."""

    node: str
    drained: bool
    jobIds: list[str]


class Done(BaseModel):
    """A change was made."""

    status: str
    message: str


class ThreadAnswer(BaseModel):
    """A thread and its stack."""

    threadName: str
    threadId: int
    threadState: str
    stackTrace: str


class LogAnswer(BaseModel):
    """A log file and where to read it."""

    node: str
    logLink: str
    logName: str
