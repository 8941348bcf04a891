"""What a section of the vision is written from beside the person's words: answers and journal entries."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel

from prompts.categories import category
from storage.database import Transaction


class Answer(BaseModel):
    """An answer of an assessment, in the words it was asked and answered with."""

    question_id: str
    question_text: str
    response_text: str


class Passage(BaseModel):
    """What a journal entry says, in writing and aloud, on its day."""

    date: date
    text: str


async def answers(transaction: Transaction, category_key: str) -> list[Answer]:
    """The person's answers about a category, from their newest assessment that has any."""
    return await transaction.many(
        Answer,
        """
        select question_id, question_text, response_text
          from assessment_responses
         where category = $1::assessment_category
           and assessment_id = (
             select a.id from assessment_results a
              where a.status in ('in_progress', 'completed')
                and exists (select from assessment_responses r
                             where r.assessment_id = a.id and r.category = $1::assessment_category)
              order by a.created_at desc, a.id limit 1)
         order by question_id
        """,
        category_key,
    )


async def passages(transaction: Transaction, category_key: str, *, limit: int) -> list[Passage]:
    """The newest journal entries that are filed under a category, by its key or the seed's label, newest first.

    Without what their person asked VIVA to forget.
    """
    return await transaction.many(
        Passage,
        """
        select date, text
          from journal_entries,
               lateral (select concat_ws(e'\\n\\n', nullif(content, ''), (
                          select string_agg(nullif(item ->> 'transcript', ''), e'\\n\\n' order by place)
                            from jsonb_array_elements(audio_recordings) with ordinality as r (item, place)
                        )) as words) told,
               lateral (select concat_ws(e'\\n', nullif(title, ''),
                                         nullif(viva.without_forgotten(user_id, id, words), '')) as text) said
         where categories && array[$1, $2] and text ~ '\\S'
         order by date desc, created_at desc, id
         limit $3
        """,
        category_key,
        category(category_key).label,
        limit,
    )
