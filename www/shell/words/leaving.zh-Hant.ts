// 結束工作時的話。這份目錄的形狀就是 Words：少一句或多一句，另一種語言就編譯不過。
export const zhHant = {
  signOut: "登出這台裝置",
  hindered: "現在還不能登出：",
  unsent: (count: number) => `還有 ${count} 筆沒送出。連上線後按「立即送出」，或把檔案交給管理員。`,
  dead: (count: number) => `還有 ${count} 筆需要處理。請開啟「需要處理」，一筆一筆決定。`,
  export: "匯出還沒送出的（給管理員）",
  sure: "確定登出",
  back: "先不要",
  failedTo: "沒有登出：",
};

export type Words = typeof zhHant;
