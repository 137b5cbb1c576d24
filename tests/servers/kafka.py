"""A real Kafka: one broker in KRaft mode, its jars fetched by Maven, on free ports of the loopback interface."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals
from types import TracebackType
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.servers.jars import jars, java
from tests.servers.parts import LOGS, PROJECT, Unavailable, answers, free_port
from tests.servers.process import ServerProcess, wait_for

POM = PROJECT / "deploy/kafka/pom.xml"
START_SECONDS = 60
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=6
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
"""


class KafkaServer:
    """A broker of our own, or the one that KAFKA_BOOTSTRAP names (which cannot be stopped).

    `bootstrap` is its `host:port` and stays the same over restarts; so do its data, until `close`.
    """

    def __init__(self) -> None:
        self.bootstrap = os.environ.get("KAFKA_BOOTSTRAP", "")
        self._process: ServerProcess | None = None
        if self.bootstrap:
            self.version = "given by KAFKA_BOOTSTRAP"
            return
        self._java = java()
        self._jars, self.version = jars(POM, "kafka")
        broker, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{broker}"
        self._port = broker
        self._folder = Path(tempfile.mkdtemp(prefix="tournee-kafka-"))
        self._properties = self._folder / "server.properties"
        self._properties.write_text(
            PROPERTIES.format(broker=broker, controller=controller, data=self._folder / "data"), encoding="utf-8"
        )
        self._run_tool(
            "kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID, "-c", str(self._properties)
        )

    def __enter__(self) -> Self:
        if not self.is_given:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_given:
            self.close()

    @property
    def is_given(self) -> bool:
        """Whether somebody else runs it."""
        return not hasattr(self, "_folder")

    @property
    def description(self) -> str:
        return f"Kafka {self.version} at {self.bootstrap}"

    def start(self) -> None:
        """Start it on its data and wait until it answers as a broker. Nothing happens when it already runs."""
        self._must_be_ours()
        if self._process is not None and self._process.is_running:
            return
        LOGS.mkdir(parents=True, exist_ok=True)
        self._process = ServerProcess(
            [
                self._java,
                "-Xms256m",
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Dorg.apache.logging.log4j.level=WARN",
                "-cp",
                f"{self._jars}/*",
                "kafka.Kafka",
                str(self._properties),
            ],
            log=LOGS / f"kafka-{self._port}.log",
            folder=self._folder,
        )
        if not wait_for(self._is_ready, seconds=START_SECONDS):
            last_words = self._process.last_words()
            self._process.stop(SIGKILL)
            raise RuntimeError(f"Kafka did not start within {START_SECONDS} s:\n{last_words}")

    def stop(self) -> None:
        """Stop it as an operator would (SIGTERM); its data stay."""
        self._end(SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL); its data stay as they were at that moment."""
        self._end(SIGKILL)

    def freeze(self) -> None:
        """Let it hang: connections stay open, nothing answers."""
        self._must_be_ours()
        if self._process is not None:
            self._process.send(SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._must_be_ours()
        if self._process is not None:
            self._process.send(SIGCONT)

    def resident_megabytes(self) -> float:
        """Return the memory that the broker holds."""
        return self._process.resident_megabytes() if self._process else 0.0

    def close(self) -> None:
        """End it and forget its data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, signal: Signals) -> None:
        self._must_be_ours()
        if self._process is not None:
            self._process.stop(signal)
            self._process = None

    def _must_be_ours(self) -> None:
        if self.is_given:
            raise Unavailable(
                "this test stops and starts Kafka, which a broker given by KAFKA_BOOTSTRAP does not allow"
            )

    def _is_ready(self) -> bool:
        if self._process is None or not self._process.is_running:
            raise RuntimeError(f"Kafka ended while starting:\n{self._process.last_words() if self._process else ''}")
        if not answers(self._port):
            return False
        # A thread of its own: the caller may be inside an event loop.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, _lists_topics(self.bootstrap)).result()

    def _run_tool(self, *arguments: str) -> None:
        done = subprocess.run(
            [self._java, "-XX:TieredStopAtLevel=1", "-cp", f"{self._jars}/*", *arguments],
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{arguments[0]}: {done.stdout}{done.stderr}")


async def _lists_topics(bootstrap: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=3000)
    try:
        await admin.start()
        await admin.list_topics()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return True
