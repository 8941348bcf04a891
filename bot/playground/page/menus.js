// Menus that open from a button, and the one question the page asks.

import { find } from "./tools.js";

let openMenu = null;

export function setUpMenu(button, menu, prepare = () => {}) {
  const close = ({ giveBack }) => {
    menu.hidden = true;
    button.setAttribute("aria-expanded", "false");
    openMenu = null;
    if (giveBack) button.focus();
  };
  button.addEventListener("click", () => {
    if (!menu.hidden) return close({ giveBack: true });
    openMenu?.({ giveBack: false });
    prepare();
    menu.hidden = false;
    button.setAttribute("aria-expanded", "true");
    openMenu = close;
    menu.querySelector("button")?.focus();
  });
  menu.addEventListener("click", (event) => event.target.closest("button") && close({ giveBack: false }));
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 };
    if (event.key === "Escape") close({ giveBack: true });
    else if (event.key === "Tab") close({ giveBack: true });
    else if (event.key in moves) items.at(moves[event.key] % items.length).focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!menu.hidden && !menu.contains(event.target) && !button.contains(event.target)) close({ giveBack: false });
  });
}

export function confirmed({ title, text, yes }) {
  const dialog = find("confirm-dialog");
  find("confirm-title").textContent = title;
  find("confirm-text").textContent = text;
  find("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
