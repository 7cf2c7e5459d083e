// Every two seconds: fetch this page again and put the new <main> in place of the old one, unless nothing changed.
// Which <details> are open is kept; nothing happens while the page is hidden or text is selected.
"use strict";

const PAUSE = 2000;
const freshness = document.getElementById("freshness");

function say(text) {
  freshness.hidden = text === "";
  freshness.textContent = text;
}

function replace(fresh) {
  const old = document.querySelector("main");
  if (!fresh || old.dataset.source === fresh.innerHTML) return;
  const source = fresh.innerHTML;
  for (const details of fresh.querySelectorAll("details[id]")) {
    const before = document.getElementById(details.id);
    if (before) details.open = before.open;
  }
  fresh.dataset.source = source;
  old.replaceWith(document.adoptNode(fresh));
}

async function refresh() {
  if (document.hidden || String(getSelection()) !== "") return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) {
      say(answer.status === 401 ? "session over: run `modelloop page`" : "not up to date");
      return;
    }
    replace(new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main"));
    say("");
  } catch {
    say("control does not answer; trying again");
  }
}

async function again() {
  await refresh();
  setTimeout(again, PAUSE);
}

setTimeout(again, PAUSE);
