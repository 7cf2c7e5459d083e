// Every two seconds: fetch this page again and put the new <main> in place of the old one, unless nothing changed.
// Which <details> are open is kept; nothing happens while the page is hidden, text is selected or a form is filled in.
// A page whose next copy does not ask for this script is final: that was the last time.
"use strict";

// MLflow's client prints links to pages of its own server: they lead to ours.
const link = /^#\/experiments\/(\d+)(?:\/runs\/([\w-]+))?/.exec(location.hash);
if (link) location.replace(link[2] ? `/tracked/${link[2]}` : `/experiments/${link[1]}`);

const PAUSE = 2000;
let final = false;
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

function isBusy() {
  const fields = document.querySelectorAll("main textarea, main input:not([type=hidden])");
  const written = [...fields].some((field) => field.value !== field.defaultValue);
  const inside = document.activeElement !== null && document.activeElement.closest("main form") !== null;
  return document.hidden || String(getSelection()) !== "" || written || inside;
}

async function refresh() {
  if (isBusy()) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) {
      say(answer.status === 401 ? "session over: run `modelloop page`" : "not up to date");
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (isBusy()) return;
    final = fresh.querySelector("head script") === null;
    replace(fresh.querySelector("main"));
    say("");
  } catch {
    say("control does not answer; trying again");
  }
}

async function again() {
  await refresh();
  if (!final) setTimeout(again, PAUSE);
}

setTimeout(again, PAUSE);
