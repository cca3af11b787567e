import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  statSync,
} from "node:fs";
import { homedir, userInfo } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { sizeText } from "../cli/size.js";
import type { ClusterProfile } from "../cluster/profiles.js";
import { type Layout, layoutOf, type Options } from "../config/config.js";
import { makeFolder } from "../pipeline/folder.js";
import { fileSystemOf } from "../system/file-system.js";
import { chooseTempDir } from "../tiles/temp-dir.js";
import { estimateFirstYear } from "../year/space.js";
import { type Check, type Finding, fail, judge, ok, warn } from "./finding.js";

/** Files this close to the purge are worth a word. */
const PURGE_NOTICE_DAYS = 4;
const DAY_MS = 86_400_000;

/** Where files lie and whether they will fit. */
export function storageChecks(options: Options, profile: ClusterProfile | undefined): Check[] {
  const layout = layoutOf(options, 0);
  return [
    { name: "root", run: async () => [await rootFolder(layout.root, profile)] },
    { name: "links", run: async () => links(layout.root) },
    { name: "fields", run: async () => (await estimated(layout, options)).findings },
    ...(options.tiler === "tippecanoe" ? [{ name: "scratch", run: () => scratch(layout, options) }] : []),
    { name: "split", run: async () => split(layout.root, options, profile) },
    { name: "quota", run: () => quota(layout.root) },
    { name: "purge", run: async () => purge(layout, profile) },
  ];
}

async function rootFolder(root: string, profile: ClusterProfile | undefined): Promise<Finding> {
  makeFolder(root);
  accessSync(root, constants.W_OK);
  const { name, freeBytes } = await fileSystemOf(root);
  const fact = `${root}: ${name}, ${sizeText(freeBytes)} free`;
  const expected =
    profile === undefined ||
    profile.workFileSystem === "local" ||
    name.toLowerCase().startsWith(profile.workFileSystem);
  return judge(
    expected,
    "root",
    fact,
    `the work space of ${profile?.name} is ${profile?.workFileSystem} at ${profile?.workSpace}: pass --root`,
    "warn",
  );
}

/** Folders may be links into the work space; what they lead to must be there. */
function links(root: string): Finding[] {
  const found = ["data", "outputs", "logs"].flatMap((name) => {
    const path = join(root, name);
    const entry = lstatSync(path, { throwIfNoEntry: false });
    if (!entry?.isSymbolicLink()) return [];
    const target = readlinkSync(path);
    return existsSync(path)
      ? [ok(`${name}/`, `leads to ${realpathSync(path)}`)]
      : [
          fail(
            `${name}/`,
            `leads to ${target}, which is not there`,
            "make that folder, or correct the link; the work space may have been purged",
          ),
        ];
  });
  return found;
}

/** The fields, and whether what is made of them will fit; an estimate needs no more than their footer. */
async function estimated(layout: Layout, options: Options): Promise<{ findings: Finding[]; tempBytes?: number }> {
  const given = options.fieldsClean === undefined ? [] : [layout.fieldsClean];
  const missing = [layout.fieldsRaw, ...given].filter((path) => !existsSync(path));
  if (missing.length > 0) {
    const remedy = "copy them (slurm/push.sh), or pass --fields-raw and --fields-clean";
    return { findings: [warn("fields", `not there: ${missing.join(", ")}`, remedy)] };
  }
  const { openFields } = await import("../fields/fields-file.js");
  const { fieldsFileLayout } = await import("../fields/root-fields.js");
  const { fieldsRaw } = fieldsFileLayout(options, layout);
  if (!existsSync(fieldsRaw)) return { findings: [ok("fields", `${layout.fieldsRaw}, to be copied to ${fieldsRaw}`)] };
  const fields = await openFields(fieldsRaw, options);
  const { bytes, tempBytes, archiveBytes, neededBytes: needed } = estimateFirstYear(fields, options);
  const { freeBytes } = await fileSystemOf(layout.root);
  const fact = `${sizeText(freeBytes)} free; a first year takes about ${sizeText(needed)}, each further one ${sizeText(archiveBytes)}`;
  return {
    findings: [
      ok("fields", `${fields.rows.toLocaleString("en")} fields, ${sizeText(bytes)}, id column ${fields.idColumn}`),
      judge(freeBytes >= needed, "space", fact, "free some, or another --root", "fail"),
    ],
    tempBytes,
  };
}

/** Where tippecanoe's temporary files would go now; without fields, of no size. */
async function scratch(layout: Layout, options: Options): Promise<Finding[]> {
  const { tempBytes: bytesNeeded = 0 } = await estimated(layout, options).catch(() => ({ tempBytes: 0 }));
  const request = { scratch: options.scratch, besideOutput: layout.root, name: "doctor", bytesNeeded };
  const temp = await chooseTempDir(request);
  const refused = temp.refused.map((reason) => `; not ${reason}`).join("");
  return [ok("scratch", `${temp.place} (${temp.fileSystem}) takes tippecanoe's ${sizeText(bytesNeeded)}${refused}`)];
}

/** Code where it is kept, data where there is room; each in the other's place goes wrong in its own way. */
function split(root: string, options: Options, profile: ClusterProfile | undefined): Finding[] {
  if (profile?.scheduler !== "slurm") return [];
  const fill = (text: string) =>
    text
      .replace("{user}", userInfo().username)
      .replace("{account}", options.account ?? process.env.FIELDS_ACCOUNT ?? "");
  const [work, project] = [fill(profile.workSpace), fill(profile.projectSpace)];
  const code = fileURLToPath(new URL("../..", import.meta.url));
  const data = realpathSync(root);
  return [
    judge(
      !isBelow(data, project) && !isBelow(data, homedir()),
      "data",
      `lie in ${data}`,
      `${profile.projectQuotaGiB} GiB quota there: keep data in ${work} and link them`,
      "warn",
    ),
    judge(
      !isBelow(realpathSync(code), work),
      "code",
      `lies in ${code}`,
      `files there are removed after ${profile.purgeDays} days: keep code in ${project}`,
      "warn",
    ),
  ];
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return folder !== "" && !way.startsWith("..") && way !== path;
}

/** Lustre's own count, where there is one. */
async function quota(root: string): Promise<Finding[]> {
  const { failed, stdout } = await execa("lfs", ["quota", "-q", "-u", userInfo().username, root], {
    reject: false,
    stdin: "ignore",
    timeout: 20_000,
  });
  if (failed) return [];
  return quotaFindings(stdout);
}

/** `PATH kbytes quota limit grace files quota limit grace`, an asterisk behind what is exceeded, 0 for no limit. */
export function quotaFindings(text: string): Finding[] {
  const [, used, , limit, , files, , fileLimit] = text.replace(/\s+/g, " ").trim().split(" ");
  const share = (part: string | undefined, whole: string | undefined) => {
    const [a, b] = [Number(part?.replace("*", "")), Number(whole)];
    return b > 0 ? a / b : 0;
  };
  if (used === undefined || Number.isNaN(Number(used.replace("*", "")))) return [];
  const [space, inodes] = [share(used, limit), share(files, fileLimit)];
  const percent = (value: number, whole: string | undefined) =>
    Number(whole) > 0 ? `${Math.round(value * 100)} %` : "no limit";
  const fact = `space ${percent(space, limit)}, files ${percent(inodes, fileLimit)} of the quota`;
  const level = Math.max(space, inodes) >= 1 ? "fail" : "warn";
  return [judge(Math.max(space, inodes) < 0.9, "quota", fact, "remove old outputs, or ask the site for more", level)];
}

/** Outputs that nobody wrote for long are about to be removed by the site. */
function purge(layout: Layout, profile: ClusterProfile | undefined): Finding[] {
  if (profile === undefined || profile.purgeDays === 0) return [];
  const folders = [layout.fieldsRaw, layout.zonal, layout.archive].map((path) => dirname(path));
  const files = folders.flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [],
  );
  const ages = files.map((path) => {
    const { mtimeMs, atimeMs, ctimeMs } = statSync(path);
    return { path, days: (Date.now() - Math.max(mtimeMs, atimeMs, ctimeMs)) / DAY_MS };
  });
  const oldest = ages.sort((a, b) => b.days - a.days)[0];
  if (oldest === undefined) return [];
  const left = Math.floor(profile.purgeDays - oldest.days);
  const fact = `the oldest file, ${oldest.path}, has ${Math.max(0, left)} of ${profile.purgeDays} days left`;
  return [
    judge(
      left > PURGE_NOTICE_DAYS,
      "purge",
      fact,
      "copy what is to be kept (slurm/pull.sh); touching files to keep them is forbidden",
      "warn",
    ),
  ];
}
