"""Embeddings: the meaning of texts as vectors, for finding what was said before."""

from __future__ import annotations

from collections.abc import Sequence

from openai.types import CreateEmbeddingResponse
from pydantic import BaseModel

from bot.ai import tokens
from bot.ai.meter import Action, Ticket
from bot.ai.provider import FAULTS, Provider, describe, figure, priced, translate
from bot.errors import ModelRefused, NoModel
from storage import database

DIMENSIONS = 1536
"""Numbers in a vector: what text-embedding-3-small gives, and what the columns hold."""

LONGEST = 8191
"""Tokens of one text at most (OpenAI, createEmbedding: input)."""


class Embedded(BaseModel):
    """A vector of DIMENSIONS numbers for each text, in order."""

    vectors: list[list[float]]
    model: str


class Embeddings(Provider):
    """The model that tells what texts mean."""

    async def embed(self, ticket: Ticket, texts: Sequence[str]) -> Embedded:
        """The vectors of 1 to 100 texts, each of at most LONGEST tokens, charged by their tokens.

        Raises OutOfTokens before any call; NoModel, ModelUnavailable or ModelRefused after the hold was given back.
        """
        database.forbid_inside_transaction("a model call")
        if self.models.embedding is None:
            raise NoModel("No embedding model is set up here.")
        price = priced(self._prices.for_embedding, self.models.embedding)
        # A byte is the upper bound of a token in any vocabulary.
        most = sum(max(1, len(text.encode())) for text in texts)
        hold = await self._meter.hold(
            ticket, action=Action.EMBEDDING, model=self.models.embedding, most=most, least=most
        )
        try:
            answer: object = await self._client.embeddings.create(
                model=self.models.embedding, input=list(texts), dimensions=DIMENSIONS
            )
        except FAULTS as error:
            await self._meter.fail(hold, error=describe(error))
            raise translate(error) from None
        if not isinstance(answer, CreateEmbeddingResponse):
            await self._meter.fail(hold, error="not an embedding")
            raise ModelRefused("The model's answer was not a list of vectors.")
        vectors = [list(map(float, one.embedding)) for one in sorted(answer.data, key=lambda one: one.index)]
        claimed = figure(answer.usage, "prompt_tokens")
        used = claimed if claimed is not None and 0 < claimed <= most else sum(map(tokens.count, texts))
        metadata = {
            "step": ticket.step,
            "usage_from": "provider" if used == claimed else "local_count",
            "texts": len(texts),
            "price_since": price.since.isoformat(),
        }
        cost = price.cents(used)
        if len(vectors) != len(texts) or any(len(vector) != DIMENSIONS for vector in vectors):
            await self._meter.fail(
                hold,
                error="not the vectors asked for",
                tokens=used,
                input_tokens=used,
                cost_cents=cost,
                metadata=metadata,
            )
            raise ModelRefused(f"The embedding model must give vectors of {DIMENSIONS} numbers.")
        embedded = Embedded(vectors=vectors, model=self.models.embedding)
        await self._meter.settle(
            ticket, hold, embedded, tokens=used, input_tokens=used, output_tokens=0, cost_cents=cost, metadata=metadata
        )
        return embedded
