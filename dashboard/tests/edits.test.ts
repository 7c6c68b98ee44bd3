import { expect, it } from "vitest";
import { changesOf, withTag } from "../src/pages/run/edits";

const before = { name: "a", notes: "n", tags: ["x", "y"] };

it("only what was changed is sent, so that nobody who edits beside us is overwritten", () => {
  expect(changesOf(before, { ...before, name: " a " })).toBeUndefined();
  expect(changesOf(before, { ...before, name: "b" })).toEqual({ name: "b" });
  expect(changesOf(before, { name: "a", notes: "", tags: ["y", "z"] })).toEqual({
    notes: "",
    addTags: ["z"],
    removeTags: ["x"],
  });
});

it("a tag is there once, and without the blanks around it", () => {
  expect(withTag(["x"], " y ")).toEqual(["x", "y"]);
  expect(withTag(["x"], "x")).toEqual(["x"]);
  expect(withTag(["x"], "  ")).toEqual(["x"]);
});
