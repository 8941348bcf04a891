"""Assessments: one in progress a person, the completed ones for good, and the answers to each question."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel

from storage.database import Transaction


class Attempt(BaseModel):
    """The assessment in progress with everything said so far, and the facts on which its questions branch.

    `answers` are values by question id; `last_question` is the one settled last; `has_result` is whether another
    assessment was completed before. `self_ratings` are how categories felt before their questions, 1 to 10.
    """

    id: uuid.UUID
    has_result: bool
    answers: dict[str, int]
    not_applicable: set[str]
    self_ratings: dict[str, int]
    last_question: str | None
    has_children: bool | None
    relationship_status: str | None
    employment_type: str | None


class Result(BaseModel):
    """A completed assessment as it was stored, with its answers and the facts of the profile it belongs to.

    `self_ratings` are how categories felt before their questions, 1 to 10.
    """

    id: uuid.UUID
    assessment_version: int
    total_score: int
    max_possible_score: int
    category_scores: dict[str, int]
    green_line_status: dict[str, str]
    completed_at: datetime
    answers: dict[str, int]
    not_applicable: set[str]
    self_ratings: dict[str, int]
    has_children: bool | None
    relationship_status: str | None
    employment_type: str | None


class Answered(BaseModel):
    """An answer in the words it was asked and given in."""

    question_id: str
    question_text: str
    category: str
    response_value: int
    response_text: str
    green_line: str


class Past(BaseModel):
    """A completed assessment in a list."""

    id: uuid.UUID
    completed_at: datetime
    total_score: int
    max_possible_score: int


async def in_progress(transaction: Transaction) -> Attempt | None:
    """The assessment that the person has begun and not completed."""
    return await transaction.one(
        Attempt,
        """
        select a.id, coalesce(r.answers, '{}') as answers, coalesce(n.questions, '{}') as not_applicable,
               coalesce((select jsonb_object_agg(category, rating)
                           from viva.assessment_self_ratings where assessment_id = a.id), '{}') as self_ratings,
               case when n.marked_at > coalesce(r.answered_at, '-infinity') then n.last else r.last
               end as last_question,
               exists (select from assessment_results where status = 'completed') as has_result,
               p.has_children, p.relationship_status, p.employment_type
          from assessment_results a
         cross join user_profiles p
         cross join lateral (
               select jsonb_object_agg(question_id, response_value) as answers, max(answered_at) as answered_at,
                      (array_agg(question_id order by answered_at desc))[1] as last
                 from assessment_responses where assessment_id = a.id) r
         cross join lateral (
               select array_agg(question_id) as questions, max(marked_at) as marked_at,
                      (array_agg(question_id order by marked_at desc))[1] as last
                 from viva.assessment_not_applicable where assessment_id = a.id) n
         where a.status = 'in_progress' and p.is_active
        """,
    )


async def begin(transaction: Transaction, *, assessment_version: int) -> bool:
    """Begin an assessment; False when one is in progress already, which then stays as it is."""
    return bool(
        await transaction.execute(
            """
            insert into assessment_results (status, started_at, assessment_version, profile_version_id)
            values ('in_progress', now(), $1, (select id from user_profiles where is_active))
            on conflict (user_id) where status = 'in_progress' do nothing
            """,
            assessment_version,
        )
    )


async def answer(
    transaction: Transaction,
    *,
    assessment_id: uuid.UUID,
    question_id: str,
    question_text: str,
    category: str,
    value: int,
    text: str,
    green_line: str,
) -> None:
    """Keep the answer to a question, in the words it was asked and answered with; the same one again changes nothing.

    Only an assessment in progress takes answers.
    """
    await transaction.execute(
        """
        with unmarked as (
          delete from viva.assessment_not_applicable where assessment_id = $1 and question_id = $2
        )
        insert into assessment_responses as r (
          assessment_id, question_id, question_text, category, response_value, response_text, green_line
        )
        select id, $2, $3, $4::assessment_category, $5, $6, $7
          from assessment_results where id = $1 and status = 'in_progress'
        on conflict (assessment_id, question_id) do update
           set question_text = excluded.question_text, response_value = excluded.response_value,
               response_text = excluded.response_text, green_line = excluded.green_line,
               response_emoji = null, answered_at = now()
         where (r.question_text, r.response_value, r.response_text)
               is distinct from (excluded.question_text, excluded.response_value, excluded.response_text)
        """,
        assessment_id,
        question_id,
        question_text,
        category,
        value,
        text,
        green_line,
    )


async def mark_not_applicable(transaction: Transaction, *, assessment_id: uuid.UUID, question_id: str) -> None:
    """Note that a question does not apply to the person, in place of an answer. Only while it is in progress."""
    await transaction.execute(
        """
        with unanswered as (
          delete from assessment_responses where assessment_id = $1 and question_id = $2
        )
        insert into viva.assessment_not_applicable (assessment_id, question_id)
        select id, $2 from assessment_results where id = $1 and status = 'in_progress'
        on conflict (assessment_id, question_id) do nothing
        """,
        assessment_id,
        question_id,
    )


async def rate(transaction: Transaction, *, assessment_id: uuid.UUID, category: str, rating: int) -> None:
    """Keep how a category feels to the person, 1 to 10. Only while the assessment is in progress."""
    await transaction.execute(
        """
        insert into viva.assessment_self_ratings (assessment_id, category, rating)
        select id, $2::assessment_category, $3 from assessment_results where id = $1 and status = 'in_progress'
        on conflict (assessment_id, category) do update set rating = excluded.rating, rated_at = now()
        """,
        assessment_id,
        category,
        rating,
    )


async def complete(
    transaction: Transaction,
    *,
    assessment_id: uuid.UUID,
    total_score: int,
    max_possible_score: int,
    overall_percentage: int,
    category_scores: Mapping[str, int],
    green_line_status: Mapping[str, str],
) -> None:
    """Complete the assessment in progress with its scores, linked to the profile as it is now. It is final."""
    await transaction.execute(
        """
        update assessment_results
           set status = 'completed', total_score = $2, max_possible_score = $3, overall_percentage = $4,
               category_scores = $5::jsonb, green_line_status = $6::jsonb, completed_at = now(),
               profile_version_id = (select id from user_profiles where is_active)
         where id = $1 and status = 'in_progress'
        """,
        assessment_id,
        total_score,
        max_possible_score,
        overall_percentage,
        dict(category_scores),
        dict(green_line_status),
    )


RESULT = """
    select a.id, coalesce(a.assessment_version, 1) as assessment_version,
           coalesce(a.total_score, 0) as total_score, coalesce(a.max_possible_score, 0) as max_possible_score,
           coalesce(a.category_scores, '{}') as category_scores,
           coalesce(a.green_line_status, '{}') as green_line_status,
           coalesce(a.completed_at, a.updated_at) as completed_at,
           coalesce((select jsonb_object_agg(question_id, response_value)
                       from assessment_responses where assessment_id = a.id), '{}') as answers,
           coalesce((select array_agg(question_id)
                       from viva.assessment_not_applicable where assessment_id = a.id), '{}') as not_applicable,
           coalesce((select jsonb_object_agg(category, rating)
                       from viva.assessment_self_ratings where assessment_id = a.id), '{}') as self_ratings,
           p.has_children, p.relationship_status, p.employment_type
      from assessment_results a
      left join user_profiles p on p.id = a.profile_version_id"""


async def result(transaction: Transaction, assessment_id: uuid.UUID | None = None) -> Result | None:
    """A completed assessment: the one named, or else the newest."""
    return await transaction.one(
        Result,
        f"""
        {RESULT}
         where a.status = 'completed' and ($1::uuid is null or a.id = $1)
         order by a.completed_at desc nulls last
         limit 1
        """,
        assessment_id,
    )


async def before(transaction: Transaction, result: Result) -> Result | None:
    """The assessment that was completed last before this one; None for the first."""
    return await transaction.one(
        Result,
        f"""
        {RESULT}
         where a.status = 'completed' and a.id <> $1
           and a.completed_at < $2
         order by a.completed_at desc
         limit 1
        """,
        result.id,
        result.completed_at,
    )


async def completed(transaction: Transaction, *, limit: int) -> list[Past]:
    """The completed assessments, newest first."""
    return await transaction.many(
        Past,
        """
        select id, coalesce(completed_at, updated_at) as completed_at, coalesce(total_score, 0) as total_score,
               coalesce(max_possible_score, 0) as max_possible_score
          from assessment_results
         where status = 'completed'
         order by coalesce(completed_at, updated_at) desc
         limit $1
        """,
        limit,
    )


async def answered(transaction: Transaction, assessment_id: uuid.UUID) -> list[Answered]:
    """Every answer of an assessment, those of each category together and in the order of its questions."""
    return await transaction.many(
        Answered,
        """
        select question_id, question_text, category, response_value, response_text, green_line
          from assessment_responses
         where assessment_id = $1
         order by category, question_id
        """,
        assessment_id,
    )
