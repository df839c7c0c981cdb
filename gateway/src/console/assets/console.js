// What pages do beyond being read: follow what happens, move through time without a reload, keys, the theme.
"use strict";
(() => {
  const root = document.documentElement;
  const THEMES = ["auto", "light", "dark"];
  const theme = () => { try { return localStorage.getItem("xagent.theme") || "auto"; } catch { return "auto"; } };
  const wear = (name) => { if (name === "auto") delete root.dataset.theme; else root.dataset.theme = name; };
  wear(theme());
  root.classList.add("js");

  // A page comes at most so often, in milliseconds, however much happens.
  const PAUSE = 600;
  const FIRST_RETRY = 2000;
  const LONGEST_RETRY = 30000;
  let source = null, retry = FIRST_RETRY, timer = null, busy = false, again = null, last = 0;

  // Keeps what a person has opened, and where they are.
  const keep = (old, fresh) => {
    for (const open of old.querySelectorAll("details[open][data-fold]")) {
      const same = fresh.querySelector(`details[data-fold="${CSS.escape(open.dataset.fold)}"]`);
      if (same) same.open = true;
    }
  };
  const place = (old, fresh) => {
    keep(old, fresh);
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const mark = focused && (focused.id ? `#${CSS.escape(focused.id)}` : focused.dataset.key ? `[data-key="${focused.dataset.key}"]` : null);
    old.replaceWith(fresh);
    if (mark) fresh.querySelector(mark)?.focus({ preventScroll: true });
  };
  const reconcile = (old, fresh) => {
    const known = new Map([...old.children].map((child) => [child.id, child]));
    const seen = new Set();
    let before = null;
    for (const child of [...fresh.children]) {
      const same = known.get(child.id);
      let shown = same;
      if (!same || same.dataset.v !== child.dataset.v) {
        shown = child;
        if (same) { keep(same, child); same.replaceWith(child); } else child.classList.add("fresh");
      }
      const next = before ? before.nextElementSibling : old.firstElementChild;
      if (next !== shown) old.insertBefore(shown, next);
      seen.add(child.id);
      before = shown;
    }
    for (const child of [...old.children]) if (!seen.has(child.id)) child.remove();
  };
  const swap = (page) => {
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (!fresh) continue;
      if (old.dataset.live === "list") reconcile(old, fresh);
      else if (old.id === "live") follow(old, fresh);
      else if (old.outerHTML !== fresh.outerHTML && !typing(old)) place(old, fresh);
    }
  };
  const typing = (region) => [...region.querySelectorAll("input[type=text]")].some((field) => field.value);

  // What cannot be had now is asked for again, for as long as the page is there.
  const later = (address) => {
    tell("off", "The server gives no answer; trying again.");
    setTimeout(() => load(address), FIRST_RETRY);
  };
  const load = async (address) => {
    if (busy) { again = address; return; }
    busy = true;
    try {
      const answer = await fetch(address, { headers: { accept: "text/html" }, credentials: "same-origin" });
      if (new URL(answer.url).pathname === "/console/sign-in") { location.assign(answer.url); return; }
      if (answer.ok) {
        swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
        if (source?.readyState === EventSource.OPEN) tell("on", "Live");
      } else if (answer.status === 429 || answer.status >= 500) later(address);
    } catch { later(address); } finally {
      busy = false;
      if (again) { const next = again; again = null; await load(next); }
    }
  };
  const refresh = () => {
    if (timer) return;
    timer = setTimeout(() => {
      timer = null;
      const address = new URL(location.href);
      address.hash = "";
      address.searchParams.delete("done");
      // Lists come from tables that follow the record: wait until what happened is in them.
      if (last && !address.pathname.startsWith("/console/runs/")) address.searchParams.set("min_position", last);
      load(address);
    }, PAUSE);
  };

  const tell = (state, words) => {
    const told = document.querySelector("[data-live-state]");
    if (!told) return;
    told.dataset.state = state;
    if (told.textContent !== words) told.textContent = words;
  };
  // The line that says whether this page follows: its words are told again only where they change.
  const follow = (old, fresh) => {
    if (fresh.dataset.stream) return;
    delete old.dataset.stream;
    source?.close();
    source = null;
    tell("ended", fresh.querySelector("[data-live-state]")?.textContent ?? "");
  };
  const listen = () => {
    const line = document.querySelector("[data-stream]");
    if (!line) return;
    const address = new URL(line.dataset.stream, location.href);
    if (last) address.searchParams.set("from", last + 1);
    source = new EventSource(address);
    source.onopen = () => { retry = FIRST_RETRY; tell("on", "Live"); };
    source.onmessage = (event) => { last = Math.max(last, Number(event.lastEventId) || 0); refresh(); };
    source.addEventListener("end", () => renew());
    source.onerror = () => {
      tell("off", "Connecting again …");
      if (source?.readyState === EventSource.CLOSED) renew();
    };
  };
  // The page first: it says what there is to follow, and where to sign in where that is what is missing.
  const renew = () => {
    source?.close();
    source = null;
    setTimeout(async () => { refresh(); listen(); }, retry);
    retry = Math.min(retry * 2, LONGEST_RETRY);
  };

  const step = async (address) => {
    const target = new URL(address, location.href);
    target.hash = "";
    history.replaceState(null, "", target);
    await load(target);
    // Where both are side by side, the event is kept in sight.
    if (matchMedia("(min-width: 60rem)").matches) document.querySelector("#timeline .now")?.scrollIntoView({ block: "nearest" });
  };
  const start = () => {
    listen();
    const switcher = document.querySelector("[data-theme-switch]");
    const label = () => { switcher.title = `Theme: ${theme()}`; switcher.ariaLabel = switcher.title; };
    switcher.hidden = false;
    label();
    switcher.addEventListener("click", () => {
      const name = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
      try { localStorage.setItem("xagent.theme", name); } catch { /* it is worn on this page only */ }
      wear(name);
      label();
    });
    const help = document.getElementById("help");
    const helper = document.querySelector("[data-help-button]");
    helper.hidden = false;
    helper.addEventListener("click", () => help.showModal());

    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-step]");
      if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      step(link.href);
    });
    document.addEventListener("input", (event) => {
      const range = event.target.closest("[data-slider] input[type=range]");
      if (range) document.getElementById("moment-title").textContent = `Event ${range.value} of ${range.max}`;
    });
    document.addEventListener("change", (event) => {
      const range = event.target.closest("[data-slider] input[type=range]");
      if (range) step(`${range.form.getAttribute("action")}?at=${range.value}`);
    });
    document.addEventListener("keydown", (event) => {
      if (event.metaKey || event.ctrlKey || event.altKey) return;
      const field = event.target.closest("input, select, textarea");
      if (field) { if (event.key === "Escape") field.blur(); return; }
      if (help.open) return;
      const keys = { j: "next", ArrowRight: "next", k: "previous", ArrowLeft: "previous" };
      if (event.key === "/") { const search = document.querySelector("[data-search]"); if (search) { event.preventDefault(); search.focus(); } }
      else if (event.key === "?") help.showModal();
      else if (keys[event.key] && !event.target.closest("pre")) {
        const link = document.querySelector(`a[data-key="${keys[event.key]}"]`);
        if (link) { event.preventDefault(); link.click(); }
      }
    });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
