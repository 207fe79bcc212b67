"""A WordPress site as its author uses it in a browser: installs it, logs in, writes, uploads, and reads."""

from __future__ import annotations

import json
import re
import secrets
import struct
import zlib
from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

TITLE = "The shop of Tierwright"


class Blog:
    """A site at an address, and the browser of its author."""

    def __init__(self, address: str, user: str = "admin", password: str = "") -> None:
        self.address, self.user = address, user
        self.password = password or secrets.token_urlsafe(16)
        self._browser = build_opener(HTTPCookieProcessor(CookieJar()))

    def install(self) -> None:
        """Fill in the form that a new site shows."""
        page = self.get(
            "/wp-admin/install.php?step=2",
            weblog_title=TITLE,
            user_name=self.user,
            admin_password=self.password,
            admin_password2=self.password,
            pw_weak="1",
            admin_email="author@example.org",
            blog_public="0",
            language="",
            Submit="Install",
        )
        assert "Success!" in page, page

    def log_in(self) -> None:
        self.get("/wp-login.php")  # WordPress wants its test cookie back
        fields = {"log": self.user, "pwd": self.password, "redirect_to": "/wp-admin/", "testcookie": "1"}
        page = self.get("/wp-login.php", **fields)
        assert "Dashboard" in page, page

    def write_post(self, title: str, text: str) -> str:
        """Publish a post, as the editor in the browser does. Returns its path."""
        editor = self.get("/wp-admin/post-new.php")
        nonce = _found(r'createNonceMiddleware\(\s*"(\w+)"', editor)
        content = json.dumps({"title": title, "content": text, "status": "publish"}).encode()
        headers = {"Content-Type": "application/json", "X-WP-Nonce": nonce}
        answer = self._open("/?rest_route=/wp/v2/posts", content, headers)
        post: dict[str, Any] = json.loads(answer)
        return f"/?p={post['id']}"

    def upload(self, name: str, picture: bytes) -> str:
        """Upload a picture with the form of the media library. Returns its path."""
        form = self.get("/wp-admin/media-new.php?browser-uploader")
        fields = {"_wpnonce": _found(r'name="_wpnonce" value="(\w+)"', form), "post_id": "0", "html-upload": "Upload"}
        content, kind = _multipart(fields, "async-upload", name, picture)
        page = self._open("/wp-admin/media-new.php", content, {"Content-Type": kind}).decode()
        assert "error" not in page.partition("<title>")[2].partition("</title>")[0].lower(), page
        media = json.loads(self.get("/?rest_route=/wp/v2/media"))
        addresses = [str(each["source_url"]) for each in media if name.partition(".")[0] in each["source_url"]]
        return "/wp-content/" + addresses[0].partition("/wp-content/")[2]

    def get(self, path: str, **fields: str) -> str:
        """The page at a path; with fields, the answer to a form."""
        return self._open(path, urlencode(fields).encode() if fields else None).decode()

    def read(self, path: str) -> bytes:
        """The content at a path."""
        return self._open(path)

    def _open(self, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        request = Request(self.address + path, content, dict(headers or {}))
        try:
            with self._browser.open(request, timeout=60) as answer:
                body: bytes = answer.read()
        except HTTPError as error:
            raise AssertionError(f"{path}: {error}: {error.read().decode(errors='replace')[:2000]}") from error
        return body


def picture(width: int = 64, height: int = 48) -> bytes:
    """A picture of one colour, in the format PNG."""
    rows = b"".join(b"\0" + b"\x2a\x6f\x97" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR" + header, b"IDAT" + zlib.compress(rows), b"IEND")
    packed = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _found(pattern: str, page: str) -> str:
    match = re.search(pattern, page)
    assert match, (pattern, page[-4000:])
    return match[1]


def _multipart(fields: Mapping[str, str], file_field: str, name: str, content: bytes) -> tuple[bytes, str]:
    """The content of a form with a file, and its type."""
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Disposition: form-data; name="
    parts = [f'{head}"{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()]
    file = f'{head}"{file_field}"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
    body = f"{''.join(parts)}{file}".encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
