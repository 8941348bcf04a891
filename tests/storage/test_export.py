"""The manifest of an export: every table there is, given out or left out for a reason."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import asyncpg

from bot.media import Media
from bot.services import export, scratch
from storage.database import Database
from storage.export import EXPORTED, LEFT_OUT
from tests.conftest import DatabaseUrls
from tests.storage.test_row_level_security import move_in


async def test_every_table_is_in_the_manifest_and_what_is_exported_can_be_read_by_its_person(
    database_urls: DatabaseUrls,
) -> None:
    connection = await asyncpg.connect(database_urls.admin)
    tables = await connection.fetch(
        """
        select n.nspname || '.' || c.relname as name,
               has_table_privilege('authenticated', c.oid, 'select') as readable,
               c.relrowsecurity and c.relforcerowsecurity as protected,
               array(select attname::text from pg_attribute where attrelid = c.oid and attnum > 0) as columns
          from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ('public', 'viva') and c.relkind in ('r', 'p')
        """
    )
    await connection.close()
    exported = {table.name: table for table in EXPORTED}
    assert sorted([*exported, *LEFT_OUT]) == sorted(table["name"] for table in tables)
    assert all(LEFT_OUT.values())
    for table in tables:
        if manifest := exported.get(table["name"]):
            assert table["readable"] and table["protected"], manifest.name
            # Without pgvector there is no column for embeddings.
            assert {*manifest.without} <= {*table["columns"], "embedding"}, manifest.name


async def test_an_export_has_a_persons_rows_of_every_table_and_only_theirs(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    database = await Database.connect(database_urls.service, pool_size=2)
    ada, ben = await move_in(database), await move_in(database)
    as_ada = database.as_user(ada.user)
    async with as_ada.transaction() as db:
        await db.execute(
            """
            update user_profiles set profile_picture_url = 'https://elsewhere/face.jpg', progress_photos = '{a,b}',
                   passport = true, story_recordings = '[{"url": "c", "transcript": "As I told it."}, 5]'
            """
        )
        await db.execute("update audio_tracks set audio_url = 'https://elsewhere/read.mp3'")
    archive = export.pack(
        user_id=ada.user,
        transaction=as_ada.transaction,
        media=Media.open((tmp_path / "media").as_uri()),
        home=tmp_path,
    )
    async for part in archive:
        assert part.is_relative_to(scratch.place(tmp_path)), "what is not kept lies where it is swept"
        with zipfile.ZipFile(part) as whole:
            contents = {name: whole.read(name).decode() for name in whole.namelist()}
    assert [*scratch.place(tmp_path).iterdir()] == []
    await database.close()
    everything = json.loads(contents["everything.json"])
    assert [table for table, rows in everything["tables"].items() if not rows] == []
    assert everything["left_out"] == dict(LEFT_OUT)
    assert str(ben.user) not in "".join(contents.values())
    told = {
        "profile.md": ["face.jpg", "As I told it.", "yes"],
        "vision.md": ["We dance.", "read aloud"],
        "assessment.md": ["You play.", "It comes and goes."],
        "small-steps.md": ["Tonight."],
        "journal.md": ["A week."],
        "board.md": ["A boat", "came true"],
        "memory.md": ["Lives in Cork", "A quiet week."],
        "receipts.md": ["250 Stars", "stand-in"],
    }
    for name, words in told.items():
        for each in words:
            assert each in contents[name], (name, each)
