import { page } from "../shell/page.vite.ts";

export default page("ops");
