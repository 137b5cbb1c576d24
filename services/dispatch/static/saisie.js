// What somebody entered and has not sent yet outlives the page that it was entered on.

document.addEventListener("input", (event) => {
  event.target.dataset.saisi = "";
});

/** Draw a part of the page anew: what was unfolded stays unfolded, what was entered is entered again. */
export function redraw(living, fresh) {
  for (const details of living.querySelectorAll("details[open][id]:not(.over)")) {
    fresh.querySelector(`#${CSS.escape(details.id)}`)?.setAttribute("open", "");
  }
  const entered = [...living.querySelectorAll("[data-saisi]")];
  const focused = document.activeElement?.id;
  living.replaceChildren(...fresh.childNodes);
  for (const field of entered) enterAgain(field);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function enterAgain(field) {
  const fresh = document.getElementById(field.id);
  if (!fresh) return; // nothing is asked there any more
  if (field.type === "file") fresh.files = field.files;
  else fresh.value = field.value;
  fresh.dispatchEvent(new Event("input", { bubbles: true }));
}
