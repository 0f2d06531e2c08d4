import { expect, it } from "vitest";
import { branchOfALink } from "./shared.ts";

function link(claims: unknown): string {
  const part = Buffer.from(JSON.stringify(claims)).toString("base64url");
  return `tts_e30.${part}.c2ln`;
}

it("a link of a branch names its node, in any letters; no other token does", () => {
  expect(branchOfALink(link({ node_id: "Größe ✓ a/b" }))).toBe("Größe ✓ a/b");
  for (const other of [
    null,
    "",
    "e30.e30.e30",
    "tts_",
    "tts_x.%%.y",
    link(null),
    link({ node_id: 5 }),
    link({}),
  ])
    expect(branchOfALink(other)).toBeNull();
});
