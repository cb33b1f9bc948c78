// @ts-check
// The code on a printed card comes in the fragment of the address, which no server sees, and is put into the form.

const field = document.querySelector("#code");
if (field instanceof HTMLInputElement && location.hash.length > 1) {
  field.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
  document.querySelector("#pin")?.setAttribute("autofocus", "");
}
