"use strict";
// Follows a run: puts each part that the server sends into its place, and says how the run is.
const QUIET = 10000; // ms without a word, after which the run is said to be lost
const AGAIN = 2000; // ms until the next try
const state = document.getElementById("state");
const title = document.title;
let run = null;
let heard = Date.now();
let source = null;

function say(kind, words) {
  if (state.textContent === words) return;
  state.className = "state " + kind;
  state.textContent = words;
  document.title = kind === "running" ? title : kind + ": " + title;
}

function on(event, act) {
  source.addEventListener(event, (message) => {
    heard = Date.now();
    say("running", "running");
    act(JSON.parse(message.data));
  });
}

function listen() {
  source = new EventSource("/events");
  on("run", (name) => {
    if (run !== null && run !== name) location.reload(); // another run has taken this port
    run = name;
  });
  on("part", ([name, markup]) => {
    const place = document.getElementById(name);
    place.classList.remove("waits");
    place.innerHTML = markup; // made by the server, which escapes whatever is not its own
  });
  on("alive", () => {});
  on("over", (how) => {
    source.close();
    source = null;
    say("over", how);
  });
  source.onerror = () => {
    source.close();
    say("lost", "lost: the run no longer answers; what it last said is below");
    setTimeout(listen, AGAIN);
  };
}

setInterval(() => {
  if (source !== null && Date.now() - heard > QUIET) say("lost", "lost: no word from the run; what it last said is below");
}, 1000);
listen();
