"""The parts themselves: they start, keep their data over a death, and end with the run that started them."""

import os
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL

import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from playwright.async_api import Browser

from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer
from tests.servers.process import wait_for


async def test_kafka_keeps_what_it_acknowledged_over_a_kill(kafka_server: KafkaServer) -> None:
    topic = "servers-kill"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka_server.bootstrap, enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait(topic, b"kept", key=b"k")
    kafka_server.kill()
    kafka_server.start()
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_server.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    assert (await consumer.getone()).value == b"kept"
    await consumer.stop()
    await producer.stop()


def test_postgres_keeps_what_it_committed_over_a_kill(postgres_server: PostgresServer) -> None:
    engine = sa.create_engine(postgres_server.create_database())
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE kept AS SELECT 1 AS n"))
    postgres_server.kill()
    postgres_server.start()
    engine.dispose()
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT n FROM kept")).scalar_one() == 1
    engine.dispose()


def test_two_databases_are_strangers(postgres_server: PostgresServer) -> None:
    one, other = (sa.create_engine(postgres_server.create_database()) for _ in range(2))
    with one.begin() as connection:
        connection.execute(sa.text("CREATE TABLE mine (n int)"))
    with other.begin() as connection:
        assert not sa.inspect(connection).has_table("mine")
    one.dispose()
    other.dispose()


@pytest.mark.parametrize("module, server", [("kafka", "KafkaServer"), ("postgres", "PostgresServer")])
def test_a_server_ends_with_the_process_that_started_it(
    module: str, server: str, request: pytest.FixtureRequest
) -> None:
    # The fixture is asked for only so that a machine without the part says so in one place.
    request.getfixturevalue(f"{module}_server")
    script = f"""
import os, signal
from tests.servers.{module} import {server}
server = {server}()
server.start()
print(server._process.pid, flush=True)
print(server._folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False, cwd=Path.cwd()
    )
    assert done.returncode == -SIGKILL, done.stderr
    pid, folder = done.stdout.split()
    assert wait_for(lambda: _is_gone(int(pid)), seconds=20)
    assert wait_for(lambda: not Path(folder).exists(), seconds=20)


async def test_the_browser_draws_webgl_without_a_graphics_card(browser: Browser) -> None:
    page = await browser.new_page()
    drawn = await page.evaluate(
        """() => {
            const gl = document.createElement('canvas').getContext('webgl2');
            if (!gl) return null;
            gl.clearColor(1, 0.5, 0, 1);
            gl.clear(gl.COLOR_BUFFER_BIT);
            const pixel = new Uint8Array(4);
            gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
            return Array.from(pixel);
        }"""
    )
    assert drawn is not None and drawn[0] == 255 and drawn[1] in (127, 128) and drawn[2] == 0


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_servers_run_without_our_rights(postgres_server: PostgresServer) -> None:
    pid = postgres_server._process.pid if postgres_server._process else 0
    assert Path(f"/proc/{pid}").stat().st_uid != 0 or os.geteuid() != 0
