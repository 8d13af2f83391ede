// Runs before the first paint: the class tells the styles that scripts work, so nothing jumps later.
document.documentElement.classList.add("js");
document.documentElement.dataset.link = "connecting";
