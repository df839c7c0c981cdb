"""Lists the tools of an MCP server and calls some, with the official client; prints what it read as JSON.

Usage: client.py URL MODE TOOL ARGUMENTS [TOOL ARGUMENTS ...]; the token is in XAGENT_TOKEN.
"""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main(url: str, mode: str, calls: list[str]) -> None:
    headers = {"Authorization": f"Bearer {os.environ['XAGENT_TOKEN']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            listed = await client.list_tools()
            answers = []
            for tool, arguments in zip(calls[::2], calls[1::2]):
                answer = await client.call_tool(tool, json.loads(arguments))
                text = "".join(part.text for part in answer.content if part.type == "text")
                answers.append({"is_error": bool(answer.is_error), "text": text})
            print(json.dumps({
                "version": client.protocol_version,
                "tools": [tool.name for tool in listed.tools],
                "answers": answers,
            }))


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
